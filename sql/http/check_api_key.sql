create or replace function postroad.check_api_key(
  hash bytea,
  out key_id     bigint,
  out tenant_id  bigint,
  out roles      text[],
  out requests_per_second integer,
  out refusal    text,
  out seconds_left double precision
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  known postroad.api_keys;
begin
  select k.* into known
  from postroad.api_keys as k
  where k.hash = check_api_key.hash;
  if known.key_id is null then
    refusal := 'unknown';
    return;
  end if;
  key_id := known.key_id;
  tenant_id := known.tenant_id;
  roles := known.roles;
  requests_per_second := known.requests_per_second;
  seconds_left := extract(epoch from known.expires_at - clock_timestamp());
  refusal := case when known.revoked_at is not null then 'revoked' when seconds_left <= 0 then 'expired' end;
  if refusal is null and (known.last_used_at < clock_timestamp() - interval '1 minute') is not false then
    update postroad.api_keys as k
    set last_used_at = clock_timestamp()
    where k.key_id = known.key_id
      and k.last_used_at is not distinct from known.last_used_at;   -- of several servers one writes
  end if;
end;
$$;

comment on function postroad.check_api_key is
$$Whose key it is, by the SHA-256 of the key; refusal: unknown, revoked or expired. Notes that it was used, once a minute at most.$$;

revoke all on function postroad.check_api_key from public;
grant execute on function postroad.check_api_key to postroad_http;
