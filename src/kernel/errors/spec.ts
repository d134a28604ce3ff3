/** What an entry of the error catalogue says. */

export interface ErrorSpec {
  readonly status: number
  /** `%(name)s` is replaced by the parameter of that name. */
  readonly message: string
  /** One sentence for the reference page: when is it answered? */
  readonly when: string
}

export const define = <const T extends Record<string, ErrorSpec>>(specs: T): T => Object.freeze(specs)
