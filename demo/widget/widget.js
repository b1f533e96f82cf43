// @ts-check
// The page inside the frame. It asks the page around it for a token, tells nothing to any other, and
// works with whatever token it was last given.

const byId = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id))
const allowedOrigin = new URL(location.href).searchParams.get('allowedOrigin') ?? ''
const tell = (/** @type {unknown} */ message) => parent.postMessage(message, allowedOrigin)

let token = ''
let received = 0
let from = 0
let until = 0

/** @type {(text: string, tone?: 'good' | 'bad') => void} */
function say(text, tone) {
  byId('state').textContent = text
  byId('state').dataset.tone = tone ?? ''
}

/** @type {(init?: RequestInit) => Promise<{ workspace: string, connectors: string[], connected: string[] } | undefined>} */
async function callApi(init) {
  const response = await fetch('/api/v1/sources', {
    ...init,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
  })
  if (response.ok) return response.json()
  say(`The token was refused with ${response.status}`, 'bad')
  return undefined
}

/** @type {(answer: { connectors: string[], connected: string[] }) => void} */
function show({ connectors, connected }) {
  byId('connectors').replaceChildren(
    ...connectors.map((name) => {
      const isOn = connected.includes(name)
      const item = document.createElement('li')
      const button = document.createElement('button')
      const note = document.createElement('small')
      button.type = 'button'
      button.textContent = name
      button.setAttribute('aria-pressed', `${isOn}`)
      note.textContent = isOn ? '✓ Connected' : 'Connect'
      button.append(note)
      button.addEventListener('click', () => void connect(name))
      item.append(button)
      return item
    }),
  )
}

async function connect(/** @type {string} */ connector) {
  const answer = await callApi({ method: 'POST', body: JSON.stringify({ connector }) })
  if (!answer) return
  show(answer)
  say(`${connector} is connected`, 'good')
  tell({ type: 'source_created', data: { connector } })
}

async function take(/** @type {string} */ scopedAuthToken) {
  token = scopedAuthToken
  received += 1
  from = Date.now()
  until =
    JSON.parse(atob(token.split('.')[1]?.replaceAll('-', '+').replaceAll('_', '/') ?? '')).exp *
    1000
  document.body.dataset.received = `${received}`
  const answer = await callApi()
  if (!answer) return
  if (received === 1) {
    show(answer)
    say(`For ${answer.workspace}`)
  }
}

// Compared as strings, as the real one does: another spelling of the same origin is another origin.
addEventListener('message', ({ data, origin }) => {
  if (origin === allowedOrigin && data?.scopedAuthToken) void take(data.scopedAuthToken)
})
addEventListener('keydown', ({ key }) => {
  if (key === 'Escape') tell('CLOSE_DIALOG')
})
byId('close').addEventListener('click', () => tell('CLOSE_DIALOG'))

setInterval(() => {
  if (!received) return
  const rest = Math.max(0, until - Date.now())
  byId('rest').style.width = `${(rest / (until - from)) * 100}%`
  byId('tokens').textContent = received === 1 ? 'First token' : `Token ${received}`
  byId('left').textContent = rest ? `${Math.ceil(rest / 1000)} s left` : 'dead'
  document.body.dataset.alive = `${rest > 0}`
}, 250)

tell('auth_token_request')
