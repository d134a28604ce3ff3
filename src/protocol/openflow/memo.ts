/** Remembers what a pure function answered: a plan keys each flow, compares it and writes it, and parses it once. */

/** Keeps the last `size` to `2 * size` answers: two generations, the older thrown away whole. */
export function memo<T>(size: number, compute: (text: string) => T): (text: string) => T {
  let young = new Map<string, T>()
  let old = new Map<string, T>()
  return (text) => {
    const known = young.get(text)
    if (known !== undefined) return known
    const answer = old.get(text) ?? compute(text)
    if (young.size >= size) [old, young] = [young, new Map()]
    young.set(text, answer)
    return answer
  }
}
