// @ts-check
import { createActions } from './actions.js'
import { createSession, readConfig } from './api.js'
import { createExchangeLog } from './exchange-log.js'
import { showSources } from './sources.js'
import { createTokenView } from './token-view.js'
import { AirbyteEmbeddedWidget } from './widget.js'

const config = await readConfig()
/** @type {typeof import('../../src/client/client.js')} */
const { createTokenClient } = await import(`${config.brokerUrl}/client.js`)

const byId = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id))
const log = createExchangeLog(byId('log'), config)
const view = createTokenView(/** @type {HTMLElement} */ (document.querySelector('.token')))

let [customer] = config.customers
if (!customer) throw new Error('There are no customers')
let session = createSession(customer.id)
/** @type {import('../../src/client/client.js').TokenClient | undefined} */
let tokens

/** @type {(type: 'scoped' | 'widget') => import('../../src/client/client.js').TokenClient} */
const createClient = (type) => {
  const mine = session
  return createTokenClient({
    url: config.brokerUrl,
    customerId: customer?.id ?? '',
    type,
    credential: (refused) => mine.jwt(refused),
    shareTabs: true,
    fetch: log.fetch,
  })
}

async function refreshSources() {
  const asked = tokens
  const response = await asked?.fetch(`${config.airbyteUrl}/api/v1/sources`)
  if (response?.ok && asked === tokens) showSources(byId('sources'), await response.json())
}

/** Another user signs in: everything that belonged to the one before is gone. */
function signIn(/** @type {{ id: string, name: string }} */ chosen) {
  tokens?.close()
  customer = chosen
  session = createSession(chosen.id)
  view.reset()
  tokens = createClient('scoped')
  tokens.onToken(view.show, (error) => view.trouble(error.code))
  byId('customer-name').textContent = chosen.name
  byId('code-customer').textContent = chosen.id
  refreshSources().catch((error) => say({ tone: 'bad', text: `No sources: ${error.message}` }))
}

/** @type {(outcome: import('./actions.js').Outcome) => void} */
function say({ tone, text }) {
  const line = byId('outcome')
  line.dataset.tone = tone
  line.textContent = text
}

async function addSource() {
  const widgetTokens = createClient('widget')
  try {
    const widget = new AirbyteEmbeddedWidget({
      token: await widgetTokens.getToken(),
      onEvent({ type }) {
        if (type === 'source_created') refreshSources().catch(() => {})
        if (type !== 'closed') return
        widgetTokens.close()
        widget.destroy()
        byId('add-source').focus()
      },
    })
    // All it takes to keep the dialog alive for as long as somebody sits in it.
    widgetTokens.widget(widget)
    widget.open()
  } catch (error) {
    widgetTokens.close()
    throw error
  }
}

/** @type {(button: HTMLButtonElement, work: () => Promise<unknown>) => Promise<void>} */
async function busy(button, work) {
  button.disabled = true
  try {
    await work()
  } catch (error) {
    say({ tone: 'bad', text: error instanceof Error ? error.message : `${error}` })
  } finally {
    button.disabled = false
    button.focus()
  }
}

const actions = createActions({
  config,
  fetch: log.fetch,
  customer: () => customer ?? { id: '', name: '' },
  tokens: () => tokens ?? createClient('scoped'),
  jwt: () => session.jwt(),
})
for (const button of byId('actions').querySelectorAll('button')) {
  button.addEventListener('click', () =>
    busy(button, async () => {
      const outcome = await actions[button.dataset.action ?? '']?.(button)
      if (outcome) say(outcome)
    }),
  )
}
const add = /** @type {HTMLButtonElement} */ (byId('add-source'))
add.addEventListener('click', () => busy(add, addSource))
byId('clear-log').addEventListener('click', log.clear)

for (const [index, each] of config.customers.entries()) {
  const label = document.createElement('label')
  const radio = document.createElement('input')
  radio.type = 'radio'
  radio.name = 'customer'
  radio.checked = index === 0
  radio.addEventListener('change', () => signIn(each))
  label.append(radio, each.name)
  byId('customers').append(label)
}
byId('code-url').textContent = byId('code-url-2').textContent = config.brokerUrl
signIn(customer)
