import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { Connect } from './connect.jsx'

createRoot(document.getElementById('root')).render(
  <StrictMode>
    <h1>React with Vite</h1>
    <Connect />
  </StrictMode>,
)
