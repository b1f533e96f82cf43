import { createHash } from 'node:crypto'
import type { SandboxSettings } from './settings.ts'

export type Workspace = {
  readonly id: string
  readonly name: string
  readonly organization: string
}

/** One mint at work on a workspace. */
export type Visit = {
  readonly workspace: Workspace
  readonly isNew: boolean
  /** Whether two first mints have overlapped: nothing works for this customer any more. */
  isBroken(): boolean
  /** `made`: the workspace exists from now on. */
  leave(made: boolean): void
}

type Site = { workspace: Workspace; exists: boolean; broken: boolean; visitors: number }

/** Workspaces by organisation and name: made by the first mint, the same ever after. */
export function createWorkspaces(settings: () => SandboxSettings) {
  const sites = new Map<string, Site>()

  function siteOf(organization: string, name: string): Site {
    const key = `${organization}\n${name}`
    const known = sites.get(key)
    if (known) return known
    const site: Site = {
      workspace: { id: idOf(key), name, organization },
      // Every organisation comes with a workspace of its own, and a customer of that name gets it.
      exists: name === 'default',
      broken: false,
      visitors: 0,
    }
    sites.set(key, site)
    return site
  }

  return {
    enter(organization: string, name: string): Visit {
      const site = siteOf(organization, name)
      const isNew = !site.exists
      if (isNew && site.visitors > 0 && settings().breakOnOverlappingFirstMints) site.broken = true
      // The first of the two does get its token; it is all the others, for good, that do not.
      const wasBroken = site.broken
      site.visitors += 1

      return {
        workspace: site.workspace,
        isNew,
        isBroken: () => wasBroken,
        leave(made) {
          site.visitors -= 1
          if (made) site.exists = true
          else if (!site.exists && !site.broken && site.visitors === 0) {
            sites.delete(`${organization}\n${name}`)
          }
        },
      }
    },
    named: (id: string) => [...sites.values()].find(({ workspace }) => workspace.id === id),
    broken: () =>
      [...sites.values()].filter(({ broken }) => broken).map(({ workspace }) => workspace.name),
  }
}

export type Workspaces = ReturnType<typeof createWorkspaces>

/** A UUID that the same organisation and name always get, after a restart too. */
function idOf(key: string): string {
  const hex = createHash('sha256').update(key).digest('hex')
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `5${hex.slice(13, 16)}`,
    `a${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join('-')
}
