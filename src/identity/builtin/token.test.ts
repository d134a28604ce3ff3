/** What is signed is verified again and again, what is altered never, whatever was verified before. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Claims, createVerifier, sign } from './token.ts'

const key = (): string => randomBytes(32).toString('base64')
const claims = (user: string): Claims => ({
  user,
  scope: { project: 'p' },
  methods: ['password'],
  issued: 1,
  expires: 2,
  audit: ['a'],
})

test('a verifier takes what its key signed, known or new, and nothing else', () => {
  const [ours, theirs] = [key(), key()]
  const verify = createVerifier(ours)
  fc.assert(
    fc.property(fc.string(), fc.nat(), fc.constantFrom(...'AaZz09-_.'), (user, place, letter) => {
      const token = sign(claims(user), ours)
      const parts = token.split('.') as [string, string, string]
      const at = place % parts[1].length
      const altered = `${parts[1].slice(0, at)}${letter}${parts[1].slice(at + 1)}`
      for (let turn = 0; turn < 2; turn++) {
        assert.deepEqual(verify(token), claims(user))
        if (altered !== parts[1]) assert.equal(verify(`${parts[0]}.${altered}.${parts[2]}`), null)
        assert.equal(verify(sign(claims(user), theirs)), null)
      }
    }),
  )
})

test('more tokens than are remembered are all verified', () => {
  const ours = key()
  const verify = createVerifier(ours)
  const tokens = Array.from({ length: 1100 }, (_, index) => sign(claims(`u${index}`), ours))
  for (let turn = 0; turn < 2; turn++)
    for (const [index, token] of tokens.entries()) assert.equal(verify(token)?.user, `u${index}`)
})
