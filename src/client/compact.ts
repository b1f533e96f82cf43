/**
 * The client without its comments and indentation, which is how it travels. Line for line, so it knows
 * no syntax: client.js keeps its comments on lines of their own, or in the form of a type cast.
 */
export function compact(source: string): string {
  return source
    .replaceAll(/\/\*\* @.*?\*\/ ?/gs, '')
    .replaceAll(/^\s*\/\/.*$/gm, '')
    .replaceAll(/^\s+/gm, '')
}
