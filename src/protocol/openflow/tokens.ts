/** Cuts the text of actions into tokens: `name`, `name:value`, `name(value)`; commas inside brackets do not count. */
import { type Field, fieldNamed } from './fields.ts'

export interface Token {
  readonly text: string
  readonly name: string
  /** What stands after the colon or in the parentheses; empty without. */
  readonly value: string
}

export function tokenize(text: string): Token[] {
  return splitArguments(text)
    .filter((part) => part !== '')
    .map((part) => {
      const found = /^(\w+)(?::(.*)|\((.*)\))?$/s.exec(part)
      if (!found) throw new Error(`action "${part}": not of the form name, name:value or name(value)`)
      return { text: part, name: found[1] ?? '', value: (found[2] ?? found[3] ?? '').trim() }
    })
}

/** Splits at commas outside parentheses and brackets. */
export function splitArguments(text: string): string[] {
  const parts: string[] = []
  let depth = 0
  let start = 0
  for (let i = 0; i < text.length; i++) {
    const char = text[i]
    if (char === '(' || char === '[') depth++
    else if (char === ')' || char === ']') depth--
    else if (char === ',' && depth === 0) {
      parts.push(text.slice(start, i).trim())
      start = i + 1
    }
    if (depth < 0) break
  }
  if (depth !== 0) throw new Error(`brackets do not match: ${text}`)
  parts.push(text.slice(start).trim())
  return parts.length === 1 && parts[0] === '' ? [] : parts
}

export interface Subfield {
  readonly field: Field
  /** Lowest bit. */
  readonly first: number
  /** Number of bits. */
  readonly count: number
}

/** `field`, `field[]`, `field[n]`, `field[a..b]`; an action's `in_port` is the 16-bit one. */
export function parseSubfield(text: string): Subfield {
  const found = /^(\w+)(?:\[(?:(\d+)(?:\.\.(\d+))?)?\])?$/.exec(text.trim())
  if (!found) throw new Error(`not a field: ${text}`)
  const field = fieldNamed(found[1] === 'in_port' ? 'nxm_in_port' : (found[1] ?? ''))
  if (found[2] === undefined) return { field, first: 0, count: field.bits }
  const first = Number(found[2])
  const last = Number(found[3] ?? found[2])
  if (first > last || last >= field.bits) throw new Error(`${field.name} has bits 0..${field.bits - 1}: ${text}`)
  return { field, first, count: last - first + 1 }
}
