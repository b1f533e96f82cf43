// @ts-check

/**
 * Stands in for Airbyte's own widget, by the same rules: it decodes the blob itself, frames the page
 * that the blob names, answers that page's wish for a token, and passes a new one on when it is told
 * of it. It has no idea when a token ends; that is what `updateToken` is for.
 */
export class AirbyteEmbeddedWidget {
  #decoded
  #dialog = document.createElement('dialog')
  #frame = document.createElement('iframe')
  #onEvent
  #hear = (/** @type {MessageEvent} */ event) => this.#message(event)

  /** @param {{ token: string, onEvent?: (event: { type: string, data: unknown }) => void }} config */
  constructor({ token, onEvent }) {
    this.#onEvent = onEvent
    this.#decoded = decode(token)
    this.#dialog.className = 'widget-dialog'
    this.#dialog.setAttribute('aria-label', 'Add a source')
    this.#frame.title = 'Airbyte'
    this.#frame.src = this.#decoded.widgetUrl
    this.#dialog.append(this.#frame)
    document.body.append(this.#dialog)
    addEventListener('message', this.#hear)
    this.#dialog.addEventListener('close', () => this.#onEvent?.({ type: 'closed', data: null }))
  }

  open() {
    this.#dialog.showModal()
  }

  updateToken(/** @type {string} */ token) {
    this.#decoded = decode(token)
    this.#send()
  }

  destroy() {
    removeEventListener('message', this.#hear)
    this.#dialog.remove()
  }

  #send() {
    const { origin } = new URL(this.#decoded.widgetUrl)
    this.#frame.contentWindow?.postMessage({ scopedAuthToken: this.#decoded.token }, origin)
  }

  #message(/** @type {MessageEvent} */ { data, source, origin }) {
    if (source !== this.#frame.contentWindow) return
    if (origin !== new URL(this.#decoded.widgetUrl).origin) return
    if (data === 'auth_token_request') this.#send()
    else if (data === 'CLOSE_DIALOG') this.#dialog.close()
    else if (data?.type) this.#onEvent?.(data)
  }
}

/** @type {(token: string) => { token: string, widgetUrl: string }} */
function decode(token) {
  const padded = token.padEnd(token.length + ((4 - (token.length % 4)) % 4), '=')
  return JSON.parse(atob(padded.replaceAll('-', '+').replaceAll('_', '/')))
}
