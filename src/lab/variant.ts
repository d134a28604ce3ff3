/**
 * Another build of this source tree, for upgrades in place: same program, but its flows carry the next pipeline
 * version and it reads only the oldest version of every wire object. So every flow is replaced and every object is
 * converted when one build takes over from the other.
 */
import { cp, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { REPOSITORY } from './repository.ts'

interface Patch {
  readonly file: string
  readonly find: RegExp
  readonly replace: (found: string) => string
}

export const PATCHES: readonly Patch[] = [
  {
    file: 'src/dataplane/ovs/cookie.ts',
    find: /PIPELINE_VERSION = (\d+)/,
    replace: (found) => `PIPELINE_VERSION = ${Number(/\d+/.exec(found)?.[0]) + 1}`,
  },
  {
    file: 'src/wire/versions.ts',
    find: /Array\.from\(\{ length: currentVersion\(type\) \}, \(_, index\) => index \+ 1\)/,
    replace: () => '[1]',
  },
]

/** Pure. The text with the patch in it; throws when the place it changes is not there exactly once. */
export const applyPatch = (text: string, { file, find, replace }: Patch): string => {
  const places = text.match(new RegExp(find.source, 'g')) ?? []
  if (places.length !== 1) throw new Error(`${file} has ${places.length} places like ${find.source}, not 1`)
  return text.replace(find, replace)
}

/** Copies the tree to `target` (replaced if it exists) and patches the copy; answers `target`. */
export const buildVariant = async (target: string, source = REPOSITORY): Promise<string> => {
  await rm(target, { recursive: true, force: true })
  await mkdir(target, { recursive: true })
  for (const part of ['bin', 'src', 'package.json'])
    await cp(join(source, part), join(target, part), { recursive: true })
  await symlink(join(source, 'node_modules'), join(target, 'node_modules'))
  for (const patch of PATCHES) {
    const path = join(target, patch.file)
    await writeFile(path, applyPatch(await readFile(path, 'utf8'), patch))
  }
  return target
}
