import { z } from 'zod'
import { RULES } from './rules.ts'
import { settings } from './settings.ts'

export const SETTING_NAMES = Object.keys(settings)

/** `when`: the rules are asked although a setting is wrong, so that all mistakes are told at once. */
export const settingsSchema = RULES.reduce(
  (schema, [name, message, holds]) =>
    schema.refine(holds, { path: [name], message, when: ({ value }) => value !== undefined }),
  z.object(settings),
)
