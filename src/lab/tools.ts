/** What actions on a lab need to know: whether an agent has reported, and where another build is. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { heardFrom } from './enrol.ts'
import type { StrikeTools } from './faults.ts'
import { labApi } from './lifecycle.ts'
import { REPOSITORY } from './repository.ts'
import type { Lab } from './state.ts'
import { buildVariant } from './variant.ts'

/** An agent that ends because something is wrong does so within this time, ms. */
const LIVED = 2_000

/** `build`: a source tree to upgrade to; by default a variant of this one, made once in the lab's folder. */
export const strikeTools = async (lab: Lab, build?: string): Promise<StrikeTools> => {
  const api = lab.spec.server ? await labApi(lab) : null
  const variant = join(lab.paths.dir, 'variant')
  return {
    // A server that is down cannot say: then an agent that has lived for a while is all there is to ask for.
    heardFrom: async (host, since) => {
      if (!api) return true
      return heardFrom(api, host, since).catch(
        (error: unknown) => error instanceof TypeError && Date.now() - since > LIVED,
      )
    },
    otherBuild: async () => build ?? (existsSync(join(variant, 'bin')) ? variant : await buildVariant(variant)),
    ownBuild: REPOSITORY,
  }
}
