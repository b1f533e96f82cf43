import { enableCompileCache } from 'node:module'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'

// Two of V8's habits that cost a broker pauses of 50 ms and more under load, with many customers of 500.
// It learns which objects live on, and from then on makes those of that place in the code among the old ones. It learns
// that from first requests, which wait for their mint. Later ones are answered at once; made among the old they stay, with
// all they point to, until the whole heap is searched.
setFlagsFromString('--no-allocation-site-pretenuring')
// After a rest it searches the whole heap as soon as a tenth has been added. Now when it has doubled, which is within what
// V8 itself lets a busy process grow by.
setFlagsFromString('--heap-growing-percent=100')

// After the flags, as what is kept is good for one set of them alone.
// What Node makes of the sources is kept beside them, and with it a start takes a third of the time. Not in the folder
// for temporary files, which is Node's choice: whoever can write there could put other code in its place.
// JavaScript, as this file itself is not kept yet: to load what reads TypeScript takes longer than all of it.
enableCompileCache(join(import.meta.dirname, '../node_modules/.cache/compiled'))

await import('./main.ts')
