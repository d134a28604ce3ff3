/** `deuteron lab …`: the commands of the lab, their flags and what they print. Each answers an exit code. */
import type { LabCommand, LabIo } from './lab-common.ts'
import { labCommands } from './lab-commands.ts'
import { probeCommand } from './lab-probe.ts'
import { vmCommand } from './lab-vm.ts'
import { tourCommand } from './lab-tour.ts'

const HELP = `deuteron lab: hosts and VMs as network namespaces on this machine. Needs root.

  lab up [--hosts 3] [--name NAME] [--datapath netdev|system] [--topology flat|hpb|racks] [--bare]
         [--server URL --openrc FILE --feed URL[,URL]]   hosts, server and agents; mends what is half there
  lab down [--name NAME]                                 takes everything of the lab away
  lab status [--json]                                    hosts, agents, VMs, ports
  lab list                                               the labs of this machine
  lab exec HOST|VM -- COMMAND …                          a command inside a host or a VM
  lab vm add VM --port PORT [--host HOST] [--no-dhcp]    a VM on a port, plugged as Nova does
  lab vm migrate VM --to HOST                            moves it while it runs, with Nova's calls in its order
  lab vm del VM | lab vm list
  lab probe [--from VM,… --to VM,…] [--seconds 10] [--during ACTIONS] [--json]
                                                         counts lost packets while things are killed
  lab break flows|dhcp HOST | lab break port|namespace VM
                                                         takes things away behind an agent's back
  lab agent start|term|kill|upgrade|downgrade HOST       one agent at a time
  lab build-variant DIR                                  a build with other flows and another wire version
  lab tour [--keep]                                      all of it, as a narrated demonstration

Every command takes --name NAME for a lab other than 'default'.
`

const commands: Readonly<Record<string, LabCommand>> = {
  ...labCommands,
  vm: vmCommand,
  probe: probeCommand,
  tour: tourCommand,
}

/** Runs one lab command; problems are printed as one sentence and answered with exit code 1 (2 for wrong usage). */
export async function labCommand(argv: string[], io: LabIo): Promise<number> {
  const [name = 'help', ...rest] = argv
  const command = commands[name]
  if (name === 'help' || name === '--help' || rest.includes('--help')) {
    io.stdout.write(HELP)
    return 0
  }
  if (!command) {
    process.stderr.write(`there is no command 'lab ${name}'\n\n${HELP}`)
    return 2
  }
  try {
    if (process.getuid?.() !== 0) throw new Error('the lab needs root: it makes network namespaces; use sudo')
    return await command(rest, io)
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    process.stderr.write(`deuteron lab ${name}: ${message}\n`)
    return isUsage(error) ? 2 : 1
  }
}

const isUsage = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS')
