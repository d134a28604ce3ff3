/** Errors of quotas. */
import { define } from './spec.ts'

export const quotaErrors = define({
  OverQuota: {
    status: 409,
    message: 'Quota exceeded for resources: %(overs)s.',
    when: 'The project would have more objects than its limit; `facts` have the limit and what is used.',
  },
  QuotaMissingTenant: {
    status: 400,
    message: 'Tenant-id was missing from quota request.',
    when: 'A quota request without a project.',
  },
  ProjectQuotaNotFound: {
    status: 404,
    message: 'Quota for project %(project_id)s could not be found.',
    when: 'The limits of a project shall be removed that has none of its own.',
  },
})
