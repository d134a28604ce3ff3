-- Counters of a project without a limit are kept in parts, so that its writers do not wait for each other's commits: what
-- is used is their sum. Where there is a limit, all move one part, and the sum is exact before anybody is refused or let in.
-- Breaking: no (older servers count through the function; until they are gone they show a part of what is used).

alter table quota_usage
  add column part smallint not null default 0,
  drop constraint quota_usage_used_check,
  drop constraint quota_usage_pkey,
  add primary key (project_id, resource, part);

create function quota_cap(project text, kind text, fallback bigint) returns bigint language sql as $$
  select coalesce((select "limit" from quotas where project_id = project and resource = kind), fallback)
$$;

-- `fallback`: the limit of projects that have none of their own; below 0 there is none. Raises DQ001 when the limit would
-- be passed. The limit is read again once the counter is held: who sets one holds all parts.
create or replace function quota_count(project text, kind text, delta bigint, fallback bigint, enforce boolean) returns bigint
language plpgsql as $$
declare
  cap bigint := quota_cap(project, kind, fallback);
  own integer := case when cap < 0 then 1 + pg_backend_pid() % 16 else 0 end;
  total bigint;
begin
  insert into quota_usage as u (project_id, resource, used, part) values (project, kind, delta, own)
    on conflict (project_id, resource, part) do update set used = u.used + delta;
  if enforce and delta > 0 then
    cap := quota_cap(project, kind, fallback);
    if cap >= 0 then
      -- The limit came meanwhile: one after the other from here on, each seeing those before.
      if own > 0 then
        insert into quota_usage as u (project_id, resource, used, part) values (project, kind, 0, 0)
          on conflict (project_id, resource, part) do update set used = u.used;
      end if;
      select sum(used) into total from quota_usage where project_id = project and resource = kind;
      if total > cap then
        raise exception 'quota' using errcode = 'DQ001',
          detail = json_build_object('resource', kind, 'limit', cap, 'used', total - delta)::text;
      end if;
    end if;
  end if;
  return total;
end $$;
