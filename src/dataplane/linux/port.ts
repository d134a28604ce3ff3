/** What we ask of Linux: commands, files, processes, network namespaces. The real one is `host.ts`. */

export interface LinkFacts {
  readonly mac: string
  readonly mtu: number
  readonly up: boolean
  /** Address and prefix length; link-local IPv6 left out. */
  readonly addresses: readonly string[]
}

export interface LinuxPort {
  /** Runs a program to its end. Rejects with its complaint. */
  run(program: string, args: readonly string[]): Promise<string>
  /** One `ip -batch` in the named namespace. */
  ip(namespace: string, commands: readonly string[]): Promise<void>
  /** A device in the namespace, or in our own (null); null when it is not there. */
  link(namespace: string | null, device: string): Promise<LinkFacts | null>
  /** Names of all namespaces. */
  namespaces(): Promise<string[]>
  /** A number that only this namespace has; null when there is none of that name. */
  namespaceId(name: string): Promise<number | null>
  /** The namespace a process runs in; null when the process is gone. */
  namespaceOf(pid: number): Promise<number | null>
  /** Command line of a process; null when it is gone or a zombie. */
  commandOf(pid: number): Promise<readonly string[] | null>
  /** Names of the devices in our own namespace. Cheap: reads /proc. */
  devices(): Promise<ReadonlySet<string>>
  /** Whether the process's namespace has the device, and all these addresses. Cheap: reads /proc. */
  carries(pid: number, device: string, addresses: readonly string[]): Promise<boolean>
  /** Sends a signal; a process that is gone already is no error. */
  signal(pid: number, signal: 'SIGHUP' | 'SIGTERM' | 'SIGKILL'): void
  /** Content, or null when there is no such file. */
  read(path: string): Promise<string | null>
  /** Replaces the file as one step; makes its folder. */
  write(path: string, text: string): Promise<void>
  list(dir: string): Promise<string[]>
  remove(dir: string): Promise<void>
}
