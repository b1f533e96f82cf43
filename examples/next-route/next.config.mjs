const { BROKER_URL, BROKER_KEY } = process.env
if (!BROKER_URL || !BROKER_KEY)
  throw new Error('Set BROKER_URL and BROKER_KEY: the demo prints them.')

export default {
  rewrites: async () => [{ source: '/client.js', destination: `${BROKER_URL}/client.js` }],
}
