'use client'

import { useState } from 'react'

type Reply = { workspace_id: string | null; expires_at: string }

export default function Page() {
  const [reply, setReply] = useState<Reply>()
  const [error, setError] = useState('')

  async function signIn() {
    const { customerId } = await (await fetch('/api/login', { method: 'POST' })).json()
    // The broker serves the client; a bundler is told to leave the import to the browser.
    const path = '/client.js'
    const { createTokenClient } = await import(
      /* webpackIgnore: true */ /* turbopackIgnore: true */ path
    )
    // No credential: the session's cookie is one, and the client adds the header against forgery.
    const tokens = createTokenClient({ url: '/api', customerId })
    tokens.onToken(setReply, ({ code }: { code: string }) => setError(code))
  }

  return (
    <main>
      <h1>Next.js</h1>
      <button type="button" onClick={signIn}>
        Sign in
      </button>
      <p>
        Workspace <code id="workspace">{reply?.workspace_id ?? '–'}</code>
      </p>
      <p>
        The token ends at <time>{reply?.expires_at ?? '–'}</time>.
      </p>
      <p role="status">{error}</p>
    </main>
  )
}
