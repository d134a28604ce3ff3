/** The acts of the tour that are about packets. */
import { type Action, breakFlows, strike } from '../faults.ts'
import { openProbe } from '../probe/session.ts'
import { isLossless } from '../probe/tally.ts'
import { probeVm, summary, totals } from '../probe-run.ts'
import { duration } from '../text.ts'
import { strikeTools } from '../tools.ts'
import { CLOSED_PORT, named, WEB_PORT } from './cast.ts'
import { knock, listenIn, ping, type Pinged, pingForgedIp, pingForgedMac, resolved, untilAnswered } from './inside.ts'
import { ipOf, type Scene, vmOf } from './scene.ts'

const answered = ({ sent, received, mean }: Pinged) => ({
  holds: sent > 0 && received === sent,
  seen: `${received} of ${sent} answered, ${duration(mean)} round trip`,
})
const silent = ({ sent, received }: Pinged) => ({
  holds: sent > 0 && received === 0,
  seen: `${received} of ${sent} answered`,
})

export const reachability = async (scene: Scene): Promise<void> => {
  const { lab, stage } = scene
  stage.act('Packets', 'On one host by the switch alone; between hosts by VXLAN.')
  const [b1, b2, b3] = ['b1', 'b2', 'b3'].map((name) => vmOf(scene, name)) as [never, never, never]
  await stage.prove('VMs on one host reach each other', async () => answered(await ping(lab, b1, ipOf(b2))))
  await stage.prove('VMs on two hosts reach each other', async () => answered(await ping(lab, b1, ipOf(b3))))
  await stage.prove('a full-size packet passes undivided', async () =>
    answered(await ping(lab, b1, ipOf(b3), 5, ['-M', 'do', '-s', String(vmOf(scene, 'b1').mtu - 28)])),
  )
}

export const isolation = async (scene: Scene): Promise<void> => {
  const { lab, stage } = scene
  const [b1, b3, r1, r3] = ['b1', 'b3', 'r1', 'r3'].map((name) => vmOf(scene, name)) as [never, never, never, never]
  stage.act(
    'Two networks with the same addresses',
    `${ipOf(b3)} exists twice: as ${named('b3')} in blue and as ${named('r3')} in red. Each network sees its own.`,
  )
  await stage.prove('one address in two networks: each finds its own', async () => {
    const [blue, red] = await Promise.all([ping(lab, b1, ipOf(b3), 5), ping(lab, r1, ipOf(r3), 5)])
    const [blueMac, redMac] = await Promise.all([resolved(lab, b1, ipOf(b3)), resolved(lab, r1, ipOf(r3))])
    const right = blueMac === vmOf(scene, 'b3').mac && redMac === vmOf(scene, 'r3').mac
    return {
      holds: right && answered(blue).holds && answered(red).holds,
      seen: `blue has ${blueMac}, red has ${redMac}`,
    }
  })
  await stage.prove('the other network cannot be reached', async () => silent(await ping(lab, b1, ipOf(r1), 5)))
}

export const securityGroups = async (scene: Scene): Promise<void> => {
  const { lab, stage } = scene
  const [b1, b3, web] = ['b1', 'b3', 'web'].map((name) => vmOf(scene, name)) as [never, never, never]
  stage.act(
    'Security groups',
    `${named('web')} admits TCP ${WEB_PORT} and nothing else; ports cannot lie about who they are.`,
  )
  await using _listening = await listenIn(lab, web, [WEB_PORT, CLOSED_PORT])
  const allowed = async (kind: 'tcp' | 'udp', port: number, wanted: boolean) => {
    const open = await knock(lab, b1, kind, ipOf(web), port)
    return { holds: open === wanted, seen: `${kind} ${port} ${open ? 'connects' : 'is closed'}` }
  }
  await stage.prove('what the group allows gets in', () => allowed('tcp', WEB_PORT, true))
  await stage.prove('what it does not allow stays out', async () => {
    const all = await Promise.all([allowed('tcp', CLOSED_PORT, false), allowed('udp', WEB_PORT, false)])
    const icmp = silent(await ping(lab, b1, ipOf(web), 3))
    return {
      holds: icmp.holds && all.every(({ holds }) => holds),
      seen: [...all.map(({ seen }) => seen), `ping: ${icmp.seen}`].join(', '),
    }
  })
  await stage.prove('a group admits its members only, and answers to them', async () => {
    const outsider = silent(await ping(lab, web, ipOf(b1), 3))
    const members = answered(await ping(lab, b3, ipOf(b1), 3))
    return { holds: outsider.holds && members.holds, seen: `members: ${members.seen}; outsider: ${outsider.seen}` }
  })
  await stage.prove('a forged IP address goes nowhere', async () =>
    silent(await pingForgedIp(lab, b1, '10.0.0.99', ipOf(b3))),
  )
  await stage.prove('a forged MAC address goes nowhere', async () =>
    silent(await pingForgedMac(lab, b1, '02:00:00:00:00:99', ipOf(b3))),
  )
}

export const selfRepair = async (scene: Scene): Promise<void> => {
  const { lab, stage } = scene
  const [b1, b3] = ['b1', 'b3'].map((name) => vmOf(scene, name)) as [never, never]
  stage.act('Behind its back', 'Somebody deletes every flow of a host.')
  await stage.prove('deleted flows come back by themselves', async () => {
    // A VM that has to ask for the MAC and is not heard asks again only a second later: that would be measured instead.
    await ping(lab, b1, ipOf(b3), 1)
    await breakFlows(lab, 'h1')
    const took = await untilAnswered(lab, b1, ipOf(b3), 10_000)
    return {
      holds: took !== null,
      seen: took === null ? 'not within 10 s' : `traffic flows again after ${duration(took)}`,
    }
  })
}

const SECONDS = 5

export const restarts = async (scene: Scene): Promise<void> => {
  const { lab, stage } = scene
  stage.act(
    'Restarts under load',
    'Every millisecond a numbered packet each way and a TCP conversation, on one host and between hosts; first undisturbed, then while things are killed.',
  )
  const vms = ['b1', 'b2', 'b3'].map((name) => probeVm(lab, vmOf(scene, name)))
  const pairs = [
    ['b1', 'b2'],
    ['b2', 'b1'],
    ['b1', 'b3'],
    ['b3', 'b1'],
  ].map(([from = '', to = '']) => ({ from: named(from), to: named(to) }))
  await using probe = await openProbe(vms, pairs)
  const tools = await strikeTools(lab)
  const control = await stage.prove('control: undisturbed, nothing is lost', async () => {
    for (let attempt = 1; ; attempt++) {
      const { flows } = await probe.window(SECONDS)
      if (isLossless(flows) || attempt === 3) return { holds: isLossless(flows), seen: summary(flows) }
    }
  })
  const under = (claim: string, actions: readonly Action[]): Promise<boolean> =>
    stage.prove(claim, async () => {
      const { flows } = await probe.window(SECONDS, async () => {
        for (const action of actions) await strike(lab, action, tools)
      })
      const { sent, lost, broken, longestGap } = totals(flows)
      const seen = `${lost} of ${sent.toLocaleString('en')} lost, ${broken} resets, longest gap ${duration(longestGap)}`
      return { holds: control && isLossless(flows), seen: control ? seen : `${seen}; void without a control` }
    })
  await tools.otherBuild()
  await under('an agent killed (SIGKILL) and started loses nothing', [{ on: 'agent', host: 'h1', what: 'KILL' }])
  await under('an agent upgraded in place loses nothing', [{ on: 'agent', host: 'h2', what: 'upgrade' }])
  if (lab.spec.server?.own !== true) return
  await under('without a server an agent starts from its disk, nothing lost', [
    { on: 'server', what: 'stop' },
    { on: 'agent', host: 'h1', what: 'TERM' },
    { on: 'server', what: 'start' },
  ])
}
