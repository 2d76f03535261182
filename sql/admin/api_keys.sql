create or replace function postroad.create_api_key(
  name       text,
  roles      text[],
  tenant_id  bigint default null,
  expires_at timestamptz default null,
  requests_per_second integer default null,
  out key_id bigint,
  out key    text
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  -- 256 bits of the strongest randomness that Postgres has, and in letters and digits alone: a key is selected by a double click.
  secret constant text := left(translate(encode(
    sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))
    || sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())), 'base64'), E'+/=\n', ''), 43);
begin
  if coalesce(btrim(name), '') = '' or length(name) > 100 then
    raise exception 'a key needs a name of up to 100 characters'
      using errcode = 'PR001', hint = 'Such as the service that will use it.';
  end if;
  if coalesce(cardinality(roles), 0) = 0 or not roles <@ '{sender,reader,admin,webhook}' then
    raise exception 'a key needs roles'
      using errcode = 'PR002', hint = 'Roles: sender, reader, admin, webhook.';
  end if;
  if expires_at <= clock_timestamp() then
    raise exception 'expires_at is in the past'
      using errcode = 'PR001';
  end if;
  if requests_per_second not between 1 and 1000000 then
    raise exception 'requests_per_second must be from 1 to 1000000'
      using errcode = 'PR001';
  end if;
  key := 'pr_live_' || secret || left(encode(sha256(convert_to('postroad' || secret, 'UTF8')), 'hex'), 6);
  insert into postroad.api_keys as k (tenant_id, expires_at, requests_per_second, created_by, name, prefix, hash, roles)
  values (tenant_id, expires_at, requests_per_second, coalesce(nullif(current_setting('postroad.caller', true), ''), session_user), btrim(name),
    left(key, 14), sha256(convert_to(key, 'UTF8')), array(select distinct r.role from unnest(roles) as r (role) order by r.role))
  returning k.key_id into key_id;
  perform postroad.audit('create_api_key', key_id::text, null, jsonb_build_object(
    'name', btrim(name), 'roles', roles, 'tenant_id', tenant_id, 'expires_at', expires_at, 'requests_per_second', requests_per_second));
end;
$$;

comment on function postroad.create_api_key is
$$Makes a key of the HTTP API and returns it, this once: only its hash is kept. roles: sender, reader, admin, webhook. tenant_id: bound to that tenant, it sees nothing else.
expires_at: default never. requests_per_second: instead of the server's limit. A key is pr_live_, 43 random letters and digits, and six digits that show a typing
error. Raises PR001 (name, expires_at, requests_per_second) and PR002 (roles).$$;

revoke all on function postroad.create_api_key from public;
grant execute on function postroad.create_api_key to postroad_admin;

create or replace function postroad.revoke_api_key(key_id bigint)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  revoked text;
begin
  update postroad.api_keys as k
  set revoked_at = clock_timestamp()
  where k.key_id = revoke_api_key.key_id
    and k.revoked_at is null
  returning k.name into revoked;
  if revoked is null then
    return false;
  end if;
  perform postroad.audit('revoke_api_key', key_id::text, jsonb_build_object('name', revoked));
  return true;
end;
$$;

comment on function postroad.revoke_api_key is
'Ends a key of the HTTP API, on all servers within two seconds. False when there is no such key, or it was revoked before.';

revoke all on function postroad.revoke_api_key from public;
grant execute on function postroad.revoke_api_key to postroad_admin;

create or replace function postroad.list_api_keys()
returns table (
  key_id       bigint,
  prefix       text,
  name         text,
  roles        text[],
  tenant_id    bigint,
  state        text,
  created_at   timestamptz,
  created_by   text,
  expires_at   timestamptz,
  last_used_at timestamptz,
  revoked_at   timestamptz,
  requests_per_second integer
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return query
  select k.key_id, k.prefix::text, k.name, k.roles, k.tenant_id,
    case when k.revoked_at is not null then 'revoked' when k.expires_at <= clock_timestamp() then 'expired' else 'active' end,
    k.created_at, k.created_by, k.expires_at, k.last_used_at, k.revoked_at, k.requests_per_second
  from postroad.api_keys as k
  order by k.key_id;
end;
$$;

comment on function postroad.list_api_keys is 'The keys of the HTTP API, without what they are. state: active, expired or revoked; last_used_at: to the minute.';

revoke all on function postroad.list_api_keys from public;
grant execute on function postroad.list_api_keys to postroad_admin;
