import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'
import { session } from './session.js'

export default defineConfig({
  plugins: [react(), session(process.env)],
  define: { __BROKER_URL__: JSON.stringify(process.env.BROKER_URL) },
  server: { host: 'localhost', port: 5173, strictPort: true },
  // The package is linked, and has a React of its own for its tests: two of them would not know each other.
  resolve: { dedupe: ['react'] },
})
