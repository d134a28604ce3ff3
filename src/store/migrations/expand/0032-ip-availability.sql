-- How many addresses networks have and how many of them are in use.
-- Breaking: no (a function and a view).

-- The address as a number, exact for IPv6 too: four times 32 bits.
create function address_number(address inet) returns numeric language sql immutable strict as $$
  select case family(address)
    when 4 then address - '0.0.0.0'::inet
    else (select ((w[1] * 4294967296 + w[2]) * 4294967296 + w[3]) * 4294967296 + w[4] from (
      select array_agg(('x' || encode(substr(inet_send(address), 5 + 4 * i, 4), 'hex'))::bit(32)::bigint::numeric order by i) as w
        from generate_series(0, 3) i) words)
  end
$$;

-- One row for a network as a whole (ip_version 0), one for its subnets of each IP version it has.
create view network_ip_availabilities as
select md5(n.id::text || v.ip_version::text)::uuid as id, n.id as network_id, n.name as network_name, n.project_id, v.ip_version,
    coalesce(a.total_ips, 0) as total_ips, coalesce(a.used_ips, 0) as used_ips,
    coalesce(a.subnets, '[]'::json) as subnet_ip_availability
  from networks n
  cross join (values (0), (4), (6)) v (ip_version)
  cross join lateral (
    select sum(one.total_ips) as total_ips, sum(one.used_ips) as used_ips,
        json_agg(json_build_object('subnet_id', one.id, 'subnet_name', one.name, 'ip_version', one.ip_version,
          'cidr', one.cidr, 'total_ips', one.total_ips, 'used_ips', one.used_ips) order by one.created_at, one.id) as subnets
      from (
        select s.id, s.name, s.ip_version, s.cidr, s.created_at,
            (select count(*) from ip_allocations i where i.subnet_id = s.id) as used_ips,
            coalesce(
              (select sum(address_number((p ->> 'end')::inet) - address_number((p ->> 'start')::inet) + 1)
                from jsonb_array_elements(s.allocation_pools) p),
              address_number(host(broadcast(s.cidr))::inet) - address_number(host(s.cidr)::inet) + 1) as total_ips
          from subnets s
          where s.network_id = n.id and (v.ip_version = 0 or s.ip_version = v.ip_version)
      ) one
  ) a
  where v.ip_version = 0 or a.subnets is not null;
