import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, visit } from 'yaml'
import type { z } from 'zod'
import { PolicyDocument } from './policy-document.ts'
import { policyFrom } from './policy-groups.ts'
import type { Policy } from './policy-rules.ts'

/** A policy file with mistakes in it; each by its line and path, none by its value. */
export class PolicyFileError extends Error {
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(`the policy file is not valid: ${problems.join('; ')}`)
    this.name = 'PolicyFileError'
    this.problems = problems
  }
}

/** Reads a policy out of YAML or JSON. @throws PolicyFileError */
export function readPolicy(text: string, { allowInsecure }: { allowInsecure: boolean }): Policy {
  const lines = new LineCounter()
  // Everything is text until the schema says otherwise: a customer 007 stays 007, and `no` is a name.
  const document = parseDocument(text, {
    schema: 'failsafe',
    lineCounter: lines,
    prettyErrors: false,
  })
  const lineAt = (offset: number | undefined) =>
    offset === undefined ? 1 : lines.linePos(offset).line

  const broken = [...document.errors, ...document.warnings]
  if (broken.length > 0)
    throw new PolicyFileError(
      broken.map(({ pos, code }) => `line ${lineAt(pos[0])}: ${SYNTAX[code] ?? code}`),
    )
  if (!isMap(document.contents))
    throw new PolicyFileError(['line 1: the file has no settings in it'])

  const tell = ({ path, message }: Problem) =>
    `line ${lineAt(offsetOf(document.contents, path))}: ${path.join('.')}: ${message}`
  const unusable = unusableNodes(document.contents)
  if (unusable.length > 0)
    throw new PolicyFileError(unusable.map(([at, message]) => `line ${lineAt(at)}: ${message}`))
  const parsed = PolicyDocument.safeParse(document.toJS())
  if (!parsed.success) throw new PolicyFileError(parsed.error.issues.flatMap(problemsOf).map(tell))
  const { policy, problems } = policyFrom(parsed.data, allowInsecure)
  if (problems.length > 0) throw new PolicyFileError(problems.map(tell))
  return policy
}

export type Problem = { readonly path: readonly PropertyKey[]; readonly message: string }

/** What the schema would not see, or see too late. */
function unusableNodes(contents: Node): (readonly [at: number | undefined, message: string])[] {
  const found: (readonly [number | undefined, string])[] = []
  visit(contents, {
    Alias: (_key, { range }) =>
      void found.push([range?.[0], 'aliases are not understood; use a group']),
    // Objects are born with this name, so a rule under it would be lost on the way.
    Pair: (_key, { key }) => {
      if (isScalar(key) && key.value === '__proto__')
        found.push([key.range?.[0], 'no rule can have this name'])
      else if (!isScalar(key)) found.push([undefined, 'a name is not text'])
    },
  })
  return found
}

const SYNTAX: Readonly<Record<string, string>> = {
  DUPLICATE_KEY: 'the same name stands twice',
  BAD_INDENT: 'the indentation is not right',
  TAB_AS_INDENT: 'a tab stands for indentation',
}

function problemsOf(issue: z.core.$ZodIssue): Problem[] {
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({
      path: [...issue.path, key],
      message: 'there is no such setting',
    }))
  return [{ path: issue.path, message: issue.message }]
}

/** Where the innermost part of the path stands that there is. */
function offsetOf(node: Node | null, path: readonly PropertyKey[]): number | undefined {
  const [step, ...rest] = path
  if (step === undefined || node === null) return node?.range?.[0]
  if (isSeq(node)) {
    const item = node.items[Number(step)]
    return isNode(item) ? (offsetOf(item, rest) ?? node.range?.[0]) : node.range?.[0]
  }
  if (!isMap(node)) return node.range?.[0]
  const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(step))
  const start = isScalar(pair?.key) ? pair.key.range?.[0] : node.range?.[0]
  if (rest.length === 0 || !isNode(pair?.value)) return start
  return offsetOf(pair.value, rest) ?? start
}

const isNode = (value: unknown): value is Node => isMap(value) || isSeq(value) || isScalar(value)
