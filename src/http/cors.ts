/** Pages of these origins may call, with a credential or a cookie, and read what the reply's headers tell. */
export const corsFor = (origins: readonly string[]) => ({
  origin: [...origins],
  credentials: true,
  // Its refusal would be plain text; without CORS headers the answer is of no use to a page either way.
  strictPreflight: false,
  methods: ['GET', 'POST', 'DELETE'],
  allowedHeaders: [
    'Authorization',
    'Content-Type',
    'X-API-Key',
    'X-Requested-With',
    'X-Request-Id',
    'traceparent',
    'tracestate',
  ],
  exposedHeaders: ['Cache-Status', 'RateLimit', 'RateLimit-Policy', 'Retry-After', 'X-Request-Id'],
  maxAge: 600,
})
