/** Where the source tree is that this lab runs from, and what it is started with. */
import { fileURLToPath } from 'node:url'

/** The repository's root, or that of a built variant when its lab runs. */
export const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '')
