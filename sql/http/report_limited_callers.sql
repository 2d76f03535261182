create or replace function postroad.report_limited_callers(callers jsonb)
returns integer
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return postroad.tell_rate_limits((
    select jsonb_agg(jsonb_build_object(
      'kind', case when c.caller like 'key:%' then 'api_key' else 'token' end,
      'name', case when c.caller like 'key:%' then substr(c.caller, 5) else left(encode(sha256(convert_to(c.caller, 'UTF8')), 'hex'), 16) end,   -- the subject of a token may be an address
      'tenant_id', c.tenant_id,
      'limit', c."limit",
      'window_seconds', 1,
      'retry_after_seconds', c.retry_after_seconds,
      'lasting_seconds', c.lasting_seconds))
    from jsonb_to_recordset(callers) as c (
      caller text, tenant_id bigint, "limit" bigint, retry_after_seconds double precision, lasting_seconds double precision)
  ));
end;
$$;

comment on function postroad.report_limited_callers is
$$Tells that callers of the HTTP API got 429: a system event rate_limit_exceeded for each, at most once a minute, however many servers there are. callers: [{"caller": key:12 or jwt:subject,
"tenant_id", "limit" a second, "retry_after_seconds", "lasting_seconds"}]. Of a token the event has a part of the SHA-256 of jwt:subject. Returns how many events there were.$$;

revoke all on function postroad.report_limited_callers from public;
grant execute on function postroad.report_limited_callers to postroad_http;
