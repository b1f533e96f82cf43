import { PolicyFileError, readPolicy } from '../../src/callers/policy-file.ts'

/** What is wrong with a policy; nothing, if it can be read. */
export function problemsOf(text: string): readonly string[] {
  try {
    readPolicy(text, { allowInsecure: false })
  } catch (error) {
    if (error instanceof PolicyFileError) return error.problems
    throw error
  }
  return []
}
