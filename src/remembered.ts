/** A function whose result is kept beside the object it was made from, and goes when that goes. */
export function rememberedBy<Of extends object, Made>(make: (of: Of) => Made): (of: Of) => Made {
  const known = new WeakMap<Of, { readonly made: Made }>()
  return (of) => {
    const kept = known.get(of)
    if (kept !== undefined) return kept.made
    const made = make(of)
    known.set(of, { made })
    return made
  }
}
