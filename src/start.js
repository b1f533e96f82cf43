import { enableCompileCache } from 'node:module'
import { join } from 'node:path'

// What Node makes of the sources is kept beside them, and with it a start takes a third of the time. Not in the folder
// for temporary files, which is Node's choice: whoever can write there could put other code in its place.
// JavaScript, as this file itself is not kept yet: to load what reads TypeScript takes longer than all of it.
enableCompileCache(join(import.meta.dirname, '../node_modules/.cache/compiled'))

await import('./main.ts')
