// @ts-check
/** @typedef {import('../../src/client/client.js').TokenReply} TokenReply */

const SHOWN_MS = 240_000
const ROWS = 4

const byId = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id))

/** Draws the token's life. Only its ends are ever shown. */
export function createTokenView(/** @type {HTMLElement} */ card) {
  /** @type {{ reply: TokenReply, heardAt: number } | undefined} */
  let held
  /** @type {{ from: number, to: number }[]} */
  let lives = []
  let problem = ''

  const time = (/** @type {string} */ moment) =>
    new Date(moment).toLocaleTimeString([], { hour12: false })
  const short = (/** @type {string} */ text, ends = 6) =>
    text.length > ends * 3 ? `${text.slice(0, ends)}…${text.slice(-ends)}` : text

  const drawLives = (/** @type {number} */ now) => {
    const bars = lives.map(({ from, to }, index) => {
      const bar = document.createElement('i')
      bar.style.left = `${100 - ((now - from + 60_000) / SHOWN_MS) * 100}%`
      bar.style.width = `${((to - from) / SHOWN_MS) * 100}%`
      bar.style.top = `${(index % ROWS) * 1.1}rem`
      return bar
    })
    byId('lives').replaceChildren(...bars)
  }

  const draw = () => {
    const now = Date.now()
    const lifeMs = held ? held.reply.expires_in * 1000 : 1
    const restMs = held ? Math.max(0, lifeMs - (now - held.heardAt)) : 0
    const lateMs = held
      ? Date.parse(held.reply.expires_at) - Date.parse(held.reply.refresh_after)
      : 0
    const isDue = restMs <= lateMs
    card.dataset.life = restMs === 0 ? 'none' : isDue ? 'due' : 'fresh'
    byId('seconds').textContent = held ? `${Math.ceil(restMs / 1000)}` : '–'
    const waiting = problem || 'no token'
    byId('state').textContent =
      restMs === 0 ? waiting : problem || (isDue ? 'being renewed' : 'fresh')
    byId('ring-rest').style.strokeDasharray = `${(restMs / lifeMs) * 100} 100`
    byId('ring-mark').style.strokeDashoffset = `${-(lateMs / lifeMs) * 100}`
    byId('ring-late').style.strokeDasharray = `${(lateMs / lifeMs) * 100} 100`
    drawLives(now)
  }

  setInterval(draw, 250)
  draw()

  return {
    show(/** @type {TokenReply} */ reply) {
      const now = Date.now()
      held = { reply, heardAt: now }
      problem = ''
      lives = [...lives, { from: now, to: now + reply.expires_in * 1000 }].slice(-8)
      byId('fact-token').textContent = short(reply.token)
      byId('fact-workspace').textContent = short(reply.workspace_id ?? '–', 8)
      byId('fact-ends').textContent = time(reply.expires_at)
      byId('fact-refresh').textContent = time(reply.refresh_after)
      draw()
    },
    /** Said in place of the state until the next token: the one in hand may still live. */
    trouble(/** @type {string} */ code) {
      problem = code.replaceAll('_', ' ')
      draw()
    },
    reset() {
      held = undefined
      problem = ''
      lives = []
      for (const id of ['token', 'workspace', 'ends', 'refresh'])
        byId(`fact-${id}`).textContent = '–'
      draw()
    },
  }
}
