/** What a new identity file holds: two projects with a user each, random passwords, the usual roles, a new key. */
import { randomBytes, randomUUID } from 'node:crypto'
import { type Assignment, type Directory, type Project, ROLES, type User } from './directory.ts'
import { drawPassword, hashPasswordSync } from './password.ts'

/** 32 hexadecimal digits, as Keystone writes ids. */
export const newKeystoneId = (): string => randomUUID().replaceAll('-', '')

export function firstDirectory(): Directory {
  const passwords = { admin: drawPassword(), demo: drawPassword() }
  const roles = ROLES.map((name) => ({ id: newKeystoneId(), name }))
  const role = (name: (typeof ROLES)[number]): string => roles.find((one) => one.name === name)?.id ?? ''
  const adminProject = project('admin', 'Administration of the cloud')
  const demoProject = project('demo', 'A project to try things in')
  const admin = user('admin', passwords.admin, adminProject.id)
  const demo = user('demo', passwords.demo, demoProject.id)
  const give = (to: User, on: Assignment['on'], name: (typeof ROLES)[number]): Assignment => ({
    user: to.id,
    on,
    role: role(name),
  })
  return {
    version: 1,
    key: randomBytes(32).toString('base64'),
    users: [admin, demo],
    projects: [adminProject, demoProject],
    roles,
    assignments: [
      give(admin, { project: adminProject.id }, 'admin'),
      give(admin, { project: demoProject.id }, 'admin'),
      give(admin, { system: 'all' }, 'admin'),
      give(demo, { project: demoProject.id }, 'member'),
    ],
    revoked: [],
    initial: passwords,
  }
}

const project = (name: string, description: string): Project => ({
  id: newKeystoneId(),
  name,
  description,
  enabled: true,
})

const user = (name: string, password: string, defaultProject: string): User => ({
  id: newKeystoneId(),
  name,
  description: '',
  email: null,
  enabled: true,
  default_project_id: defaultProject,
  password: hashPasswordSync(password),
  tokens_from: 0,
})

export const isDirectory = (content: unknown): content is Directory => {
  const one = content as Partial<Directory> | null
  return (
    typeof one === 'object' &&
    one?.version === 1 &&
    typeof one.key === 'string' &&
    [one.users, one.projects, one.roles, one.assignments, one.revoked].every(Array.isArray)
  )
}
