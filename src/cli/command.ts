/** What a command of the CLI is, and what it is given. One file per command; src/cli/commands.ts lists them. */
import type { Env } from '#launch/settings.ts'
import type { Output } from './output.ts'

export interface CommandContext {
  readonly env: Env
  /** The repository's root. */
  readonly root: string
  readonly out: Output
}

export interface Command {
  /** First line of `--help`: what follows `deuteron` on the command line. */
  readonly usage: string
  /** The rest of `--help`. */
  readonly help: string
  /** True when it answers `--help` itself. */
  readonly ownHelp?: boolean
  /**
   * Runs it with the words after its name and answers the exit code. A UserError becomes one sentence on standard
   * error; every other error is a defect and is shown with its stack. `--help` is answered before this is called, unless `ownHelp`.
   */
  run(args: readonly string[], context: CommandContext): Promise<number>
}
