/** A copy of the program's rim in a folder of its own, with a server and a data folder that tests choose. */
import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'

export const REPOSITORY = join(import.meta.dirname, '../..')

export interface Running {
  readonly child: ChildProcess
  readonly pid: number
  stdout(): string
  stderr(): string
  /** Resolves with the exit code, or the signal's name. */
  readonly ended: Promise<number | string>
  /** Resolves with the matching text once standard output has it; rejects when the program ends or 30 s pass. */
  says(pattern: RegExp): Promise<string>
}

export interface Installation {
  readonly folder: string
  readonly data: string
  /** Starts `deuteron args`; ended at the latest after the test. */
  start(args: readonly string[], options?: { env?: NodeJS.ProcessEnv; uid?: number }): Running
  /** Runs it to its end. */
  run(
    args: readonly string[],
    options?: { env?: NodeJS.ProcessEnv; uid?: number },
  ): Promise<{ code: number | string; stdout: string; stderr: string }>
}

/** A folder any user may enter, gone after the test. */
export const openFolder = (t: TestContext): string => {
  const folder = mkdtempSync('/tmp/deuteron-launch-')
  chmodSync(folder, 0o755)
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export const installation = (t: TestContext, server: string): Installation => {
  const folder = openFolder(t)
  mkdirSync(join(folder, 'bin'))
  copyFileSync(join(REPOSITORY, 'bin/ctl.ts'), join(folder, 'bin/ctl.ts'))
  copyFileSync(server, join(folder, 'bin/server.ts'))
  copyFileSync(join(REPOSITORY, 'package.json'), join(folder, 'package.json'))
  for (const name of ['src', 'node_modules']) symlinkSync(join(REPOSITORY, name), join(folder, name))
  const start: Installation['start'] = (args, { env, uid } = {}) => {
    const argv = ['--disable-warning=ExperimentalWarning', join(folder, 'bin/ctl.ts'), ...args]
    const child = spawn(process.execPath, argv, {
      cwd: '/',
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(uid === undefined ? {} : { uid, gid: uid }),
    })
    const running = watch(child)
    t.after(async () => {
      child.kill('SIGTERM')
      await running.ended
    })
    return running
  }
  const run: Installation['run'] = async (args, options) => {
    const running = start(args, options)
    return { code: await running.ended, stdout: running.stdout(), stderr: running.stderr() }
  }
  return { folder, data: join(folder, 'data'), start, run }
}

const watch = (child: ChildProcess): Running => {
  let [stdout, stderr] = ['', '']
  child.stdout?.on('data', (chunk: Buffer) => {
    stdout += chunk.toString('utf8')
  })
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk.toString('utf8')
  })
  const ended = new Promise<number | string>((resolve) => {
    child.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown'))
  })
  let over = false
  void ended.then(() => {
    over = true
  })
  const says = async (pattern: RegExp): Promise<string> => {
    for (const end = performance.now() + 30_000; ; await sleep(10)) {
      const found = pattern.exec(stdout)
      if (found) return found[0]
      if (over || performance.now() > end) throw new Error(`no ${pattern} in:\n${stdout}\n${stderr}`)
    }
  }
  return { child, pid: child.pid ?? 0, stdout: () => stdout, stderr: () => stderr, ended, says }
}

/** Two ports side by side that nobody uses now: this one and the next. */
export const freePort = async (): Promise<number> => {
  for (;;) {
    await using first = await listening(0)
    const next = await listening(first.port + 1).catch(() => null)
    await next?.[Symbol.asyncDispose]()
    if (next) return first.port
  }
}

/** Throws when somebody listens there already. */
async function listening(port: number): Promise<AsyncDisposable & { readonly port: number }> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  return {
    port: (server.address() as { port: number }).port,
    [Symbol.asyncDispose]: () => new Promise((resolve) => void server.close(() => resolve())),
  }
}

export const pidIn = (file: string): number => Number(readFileSync(file, 'utf8').split(/\s/)[0])
