import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createSealer, derivedKey } from '../../src/tokens/seal.ts'

const key = (id: string) => ({ id, key: Buffer.alloc(32, id) })
const sealer = createSealer([key('b'), key('a')])

test('what was sealed opens, whatever it was', () => {
  fc.assert(
    fc.property(fc.string(), fc.string({ unit: 'binary' }), (name, text) => {
      const sealed = sealer.seal(name, text)

      expect(sealer.open(name, sealed)).toBe(Buffer.from(text).toString())
      expect(sealed).not.toBe(sealer.seal(name, text))
    }),
  )
})

test('not under another name, nor with any character changed, cut or added', () => {
  const sealed = sealer.seal('one', 'a token')

  expect(sealer.open('another', sealed)).toBeNull()
  expect(sealer.open('one', `${sealed}AAAA`)).toBeNull()
  for (let at = 0; at < sealed.length - 1; at++) {
    const other = sealed[at] === 'A' ? 'B' : 'A'
    expect(sealer.open('one', sealed.slice(0, at) + other + sealed.slice(at + 1))).toBeNull()
    expect(sealer.open('one', sealed.slice(0, at))).toBeNull()
  }
})

test('anything else does not open, and does not throw', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(sealer.open('one', text)).toBeNull()
      expect(sealer.open('one', `a.${text}`)).toBeNull()
    }),
  )
  expect(sealer.open('one', '__proto__.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA')).toBeNull()
})

test('the newest key seals, every key of the ring opens', () => {
  const before = createSealer([key('a')])
  const after = createSealer([key('b')])

  expect(sealer.open('x', before.seal('x', 'old'))).toBe('old')
  expect(after.open('x', sealer.seal('x', 'new'))).toBe('new')
  expect(after.open('x', before.seal('x', 'old'))).toBeNull()
  const impostor = createSealer([{ id: 'a', key: Buffer.alloc(32, 'z') }])
  expect(impostor.open('x', before.seal('x', 'old'))).toBeNull()
})

test('the key that is derived is the same for the same secret, and tells nothing of it', () => {
  const one = derivedKey('the secret')

  expect(derivedKey('the secret')).toEqual(one)
  expect(derivedKey('the secret.').key).not.toEqual(one.key)
  expect(derivedKey('the secret.').id).not.toBe(one.id)
  expect(createSealer([one]).open('x', createSealer([one]).seal('x', 'y'))).toBe('y')
})

test.each([
  ['no key', []],
  ['a short key', [{ id: 'a', key: Buffer.alloc(16) }]],
  ['an id with a dot', [{ id: 'a.b', key: Buffer.alloc(32) }]],
  ['an empty id', [{ id: '', key: Buffer.alloc(32) }]],
])('a ring with %s is refused', (_, ring) => {
  expect(() => createSealer(ring)).toThrow(TypeError)
})
