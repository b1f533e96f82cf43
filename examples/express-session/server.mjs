import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import cookieSession from 'cookie-session'
import express from 'express'
import { tokenRoute } from './token-route.mjs'

const { BROKER_URL, BROKER_KEY } = process.env
if (!BROKER_URL || !BROKER_KEY) {
  console.error('Set BROKER_URL and BROKER_KEY: the demo prints them.')
  process.exit(1)
}

const app = express()
app.use(cookieSession({ keys: [randomBytes(32).toString('hex')], sameSite: 'lax', httpOnly: true }))
app.use(express.static(fileURLToPath(new URL('public', import.meta.url))))

// A real product asks for a password here.
app.post('/login', (request, response) => {
  request.session.customerId = 'acme-rockets'
  response.json({ customerId: request.session.customerId })
})
app.post('/logout', (request, response) => {
  request.session = null
  response.sendStatus(204)
})

app.use('/api', tokenRoute({ brokerUrl: BROKER_URL, brokerKey: BROKER_KEY }))
app.get('/client.js', (_request, response) => response.redirect(`${BROKER_URL}/client.js`))

app.listen(4002, 'localhost', () => console.log('http://localhost:4002'))
