import { runAdmin } from './admin-run.ts'

/** `npm run admin -- …`: the admin interface from the command line. */
process.exitCode = await runAdmin(process.argv.slice(2), process.env, console.log)
