import type { LabCommand } from './lab.ts'
export const tourCommand: LabCommand = async () => 0
