import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { catalogue } from '#kernel/errors.ts'
import { extensions } from '#extensions/index.ts'
import { compose } from '#model/compose.ts'
import { coreResources } from '#resources/index.ts'
import { referencePages } from './reference.ts'

const pages = referencePages()

for (const [name, text] of Object.entries(pages)) {
  test(`docs/reference/${name} is current (deuteron reference writes it)`, () => {
    assert.equal(readFileSync(new URL(`../../docs/reference/${name}`, import.meta.url), 'utf8'), text)
  })
}

test('the pages name every error, and every attribute and extension a client can meet', () => {
  for (const type of Object.keys(catalogue)) assert.ok(pages['errors.md']?.includes(`| \`${type}\` |`), type)
  const model = compose(coreResources, extensions)
  for (const { plural, attributes, operations } of model.resources.values()) {
    if (operations.length === 0) continue
    assert.ok(pages['api.md']?.includes(`and \`${plural}\``), plural)
    for (const [name, { visible }] of Object.entries(attributes))
      if (visible) assert.ok(pages['api.md']?.includes(`| \`${name}\` |`), name)
  }
  for (const { alias } of extensions) assert.ok(pages['api.md']?.includes(`| \`${alias}\` |`), alias)
})

test('no row of a table is broken by what stands in it', () => {
  for (const text of Object.values(pages)) {
    const lines = text.split('\n')
    for (const [index, line] of lines.entries()) {
      if (!line.startsWith('|') || !lines[index - 1]?.startsWith('|')) continue
      const columns = (row: string): number => row.replaceAll('\\|', '').split('|').length
      assert.equal(columns(line), columns(lines[index - 1] ?? ''), line)
    }
  }
})
