create or replace function postroad.set_rate_limit(
  limit_type text,
  limit_key  text,
  per_second integer default null,
  per_minute integer default null,
  per_hour   integer default null,
  per_day    integer default null
)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  before jsonb;
  key constant text := case when limit_type = 'domain' then postroad.normalize_domain(btrim(limit_key)) else btrim(limit_key) end;
begin
  if (limit_type = any ('{domain,gateway,ip_pool,channel,tenant,recipient}')) is not true then
    raise exception 'unknown limit_type %', coalesce(quote_literal(limit_type), 'null')
      using errcode = 'PR002', hint = 'Limit types: domain, gateway, ip_pool, channel, tenant, recipient.';
  end if;
  if coalesce(key, '') = '' then
    raise exception 'a rate limit needs a key'
      using errcode = 'PR001', hint = 'Such as set_rate_limit(''domain'', ''gmail.com'', per_hour => 10000).';
  end if;
  if least(per_second, per_minute, per_hour, per_day) < 1 then
    raise exception 'a rate limit must be 1 or more'
      using errcode = 'PR001', hint = 'To stop sending, use pause.';
  end if;
  select to_jsonb(r) - '{limit_type,limit_key,updated_at}'::text[] into before
  from postroad.rate_limits as r
  where r.limit_type = set_rate_limit.limit_type and r.limit_key = key;
  perform postroad.audit('set_rate_limit', limit_type || ' ' || key, before, jsonb_build_object(
    'per_second', per_second, 'per_minute', per_minute, 'per_hour', per_hour, 'per_day', per_day));
  if coalesce(per_second, per_minute, per_hour, per_day) is null then
    delete from postroad.rate_limits as r
    where r.limit_type = set_rate_limit.limit_type and r.limit_key = key;
    return;
  end if;
  insert into postroad.rate_limits (limit_type, limit_key, per_second, per_minute, per_hour, per_day)
  values (limit_type, key, per_second, per_minute, per_hour, per_day)
  on conflict on constraint rate_limits_pkey do update
  set per_second = excluded.per_second, per_minute = excluded.per_minute, per_hour = excluded.per_hour, per_day = excluded.per_day,
    updated_at = clock_timestamp();
end;
$$;

comment on function postroad.set_rate_limit is
$$Sets how many messages may go out to a domain, over a gateway, an IP pool or a channel, for a tenant or to a recipient; null means no limit, and all null removes the row.
Kept in rate_limits; workers do not apply them yet. Raises PR001 (no key, or below 1) and PR002 (unknown limit type).$$;

revoke all on function postroad.set_rate_limit from public;
grant execute on function postroad.set_rate_limit to postroad_admin;
