/**
 * A function whose result is kept beside the object it was made from, and goes when that goes. With an object
 * nearly always comes the same text; another makes it anew.
 */
export function rememberedBy<Of extends object, Made>(
  make: (of: Of, text: string) => Made,
): (of: Of, text?: string) => Made {
  const known = new WeakMap<Of, { readonly text: string; readonly made: Made }>()
  return (of, text = '') => {
    const kept = known.get(of)
    if (kept !== undefined && kept.text === text) return kept.made
    const made = make(of, text)
    known.set(of, { text, made })
    return made
  }
}

type Branch<Made> = { readonly below: Map<string, Branch<Made>>; made: Made | undefined }

/**
 * A function whose results are kept for good, so its texts must come from closed sets. Found text by text:
 * to join them to one key would take longer than all the looking up.
 */
export function rememberedByTexts<Texts extends readonly string[], Made>(
  make: (...texts: Texts) => Made,
): (...texts: Texts) => Made {
  const branch = (): Branch<Made> => ({ below: new Map(), made: undefined })
  const root = branch()
  return (...texts) => {
    let at = root
    for (const text of texts) {
      let next = at.below.get(text)
      if (next === undefined) {
        next = branch()
        at.below.set(text, next)
      }
      at = next
    }
    at.made ??= make(...texts)
    return at.made
  }
}

/** A function of which the last result is kept: for moments, which under load many in a row share. */
export function rememberedLast<Made>(make: (of: number) => Made): (of: number) => Made {
  let last: { readonly of: number; readonly made: Made } | undefined
  return (of) => {
    if (last === undefined || last.of !== of) last = { of, made: make(of) }
    return last.made
  }
}

/**
 * The same text, in one piece: for one that is kept. V8 leaves a text that was joined from others in pieces until
 * somebody looks into it, which joining it to the next one is not; and to gather them from all over the
 * memory with each request takes longer than anything else about a line.
 */
export const inOnePiece = (text: string): string => Buffer.from(text).toString()
