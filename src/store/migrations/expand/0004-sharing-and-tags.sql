-- With whom networks are shared, project by project; tags; what a refused count was about.
-- Breaking: yes, for servers of before the first release: `shared` becomes a list.

alter table networks add column shared_with text[] not null default '{}';
update networks set shared_with = '{*}' where shared;
alter table networks drop column shared;
create index on networks using gin (shared_with);

alter table subnets add column shared_with text[] not null default '{}';
update subnets set shared_with = '{*}' where shared;
alter table subnets drop column shared;
create index on subnets using gin (shared_with);

alter table networks add column tags text[] not null default '{}';
alter table subnets add column tags text[] not null default '{}';
alter table ports add column tags text[] not null default '{}';
alter table security_groups add column tags text[] not null default '{}';
create index on networks using gin (tags);
create index on subnets using gin (tags);
create index on ports using gin (tags);
create index on security_groups using gin (tags);

create or replace function quota_count(project text, kind text, delta bigint, fallback bigint, enforce boolean) returns bigint
language plpgsql as $$
declare
  cap bigint;
  total bigint;
begin
  insert into quota_usage as u values (project, kind, greatest(delta, 0))
    on conflict (project_id, resource) do update set used = greatest(u.used + delta, 0)
    returning used into total;
  if enforce and delta > 0 then
    select coalesce((select "limit" from quotas where project_id = project and resource = kind), fallback) into cap;
    if cap >= 0 and total > cap then
      raise exception 'quota' using errcode = 'DQ001',
        detail = json_build_object('resource', kind, 'limit', cap, 'used', total - delta)::text;
    end if;
  end if;
  return total;
end $$;
