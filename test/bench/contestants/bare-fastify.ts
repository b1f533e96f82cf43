import Fastify from 'fastify'
import { READY_REPLY } from './reply.ts'

/** The framework with our route and a ready reply: no log, no hooks, no checks. */
const app = Fastify()
app.get('/customers/:id/token', (_request, reply) => {
  reply.header('content-type', 'application/json').send(READY_REPLY)
})
await app.listen({ port: Number(process.env.PORT), host: '127.0.0.1' })
