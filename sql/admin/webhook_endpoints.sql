create or replace function postroad.add_webhook_endpoint(
  url               text,
  event_types       text[] default '{message.*}',
  channels          text[] default null,
  tenant_id         bigint default null,
  include_addresses boolean default false,
  description       text default null,
  secret            text default null,
  out endpoint_id   bigint,
  out signing_secret text
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform postroad.check_endpoint(url, event_types, channels);
  if include_addresses is null then
    raise exception 'include_addresses must be true or false'
      using errcode = 'PR001';
  end if;
  signing_secret := postroad.checked_secret(secret);
  -- What is committed from here on is posted; the endpoints that were there before keep their place.
  insert into postroad.consumers (consumer, event_types, seen)
  values ('_webhooks', '{*,system.*}', postroad.event_snapshot())
  on conflict on constraint consumers_pkey do nothing;
  insert into postroad.webhook_endpoints as e (url, event_types, channels, tenant_id, include_addresses, description)
  values (url, event_types, channels, tenant_id, include_addresses, description)
  returning e.endpoint_id into endpoint_id;
  insert into postroad.webhook_secrets (endpoint_id, secret)
  values (endpoint_id, signing_secret);
  perform postroad.audit('add_webhook_endpoint', endpoint_id::text, null, jsonb_build_object(
    'url', split_part(url, '?', 1), 'event_types', event_types, 'channels', channels, 'tenant_id', tenant_id, 'include_addresses', include_addresses));
end;
$$;

comment on function postroad.add_webhook_endpoint is
$$Has events posted to a URL (https, or http), signed by Standard Webhooks 1.0.0, from now on.

event_types: message.* (the default), message.<type> such as message.delivered, system.*, system.<kind>. channels: of messages of these channels only. tenant_id: of this tenant
only (system events too, if they name it). include_addresses: the recipient goes along. secret: whsec_ and 24 to 64 bytes in base64 (made if null), or whsk_ and an Ed25519 key.
Returns the secret, which is shown here only. The body is {"type": "message.delivered", "timestamp": "…", "data": {"message_id": "…", …}}.
Raises PR001 (URL, secret) and PR002 (unknown event type or channel).$$;

revoke all on function postroad.add_webhook_endpoint from public;
grant execute on function postroad.add_webhook_endpoint to postroad_admin;

create or replace function postroad.set_webhook_endpoint(
  endpoint_id       bigint,
  url               text default null,
  event_types       text[] default null,
  channels          text[] default null,
  include_addresses boolean default null,
  description       text default null,
  enabled           boolean default null
)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  before constant jsonb := (
    select jsonb_build_object('url', split_part(e.url, '?', 1), 'event_types', e.event_types, 'channels', e.channels, 'include_addresses', e.include_addresses,
      'enabled', e.disabled_at is null)
    from postroad.webhook_endpoints as e
    where e.endpoint_id = set_webhook_endpoint.endpoint_id
  );
begin
  perform postroad.check_endpoint(coalesce(url, 'https://example.org'), coalesce(event_types, '{message.*}'), nullif(channels, '{}'));
  update postroad.webhook_endpoints as e
  set url = coalesce(set_webhook_endpoint.url, e.url),
    event_types = coalesce(set_webhook_endpoint.event_types, e.event_types),
    channels = case when set_webhook_endpoint.channels = '{}' then null else coalesce(set_webhook_endpoint.channels, e.channels) end,
    include_addresses = coalesce(set_webhook_endpoint.include_addresses, e.include_addresses),
    description = coalesce(set_webhook_endpoint.description, e.description),
    disabled_at = case when enabled then null when not enabled then coalesce(e.disabled_at, clock_timestamp()) else e.disabled_at end,
    disabled_reason = case when enabled then null when not enabled then coalesce(e.disabled_reason, 'by_operator') else e.disabled_reason end,
    failing_since = case when enabled then null else e.failing_since end
  where e.endpoint_id = set_webhook_endpoint.endpoint_id;
  if not found then
    return false;
  end if;
  perform postroad.audit('set_webhook_endpoint', endpoint_id::text, before, jsonb_strip_nulls(jsonb_build_object(
    'url', split_part(url, '?', 1), 'event_types', event_types, 'channels', channels, 'include_addresses', include_addresses, 'enabled', enabled)));
  return true;
end;
$$;

comment on function postroad.set_webhook_endpoint is
$$Changes what is given of an endpoint; null leaves it as it is. channels: {} means all of them. enabled: false stops it, and events that come meanwhile are not posted to it; true lets
it go on, with those that waited when it stopped. False when there is no such endpoint. Raises PR001 (URL) and PR002 (unknown event type or channel).$$;

revoke all on function postroad.set_webhook_endpoint from public;
grant execute on function postroad.set_webhook_endpoint to postroad_admin;

create or replace function postroad.remove_webhook_endpoint(endpoint_id bigint)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  removed text;
begin
  delete from postroad.webhook_endpoints as e
  where e.endpoint_id = remove_webhook_endpoint.endpoint_id
  returning split_part(e.url, '?', 1) into removed;
  if removed is null then
    return false;
  end if;
  perform postroad.audit('remove_webhook_endpoint', endpoint_id::text, jsonb_build_object('url', removed));
  return true;
end;
$$;

comment on function postroad.remove_webhook_endpoint is 'Forgets an endpoint, its secrets and its deliveries. False when there is no such endpoint.';

revoke all on function postroad.remove_webhook_endpoint from public;
grant execute on function postroad.remove_webhook_endpoint to postroad_admin;

create or replace function postroad.rotate_webhook_secret(
  endpoint_id   bigint,
  secret        text default null,
  old_valid_for interval default '24 hours'
)
returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  signing_secret constant text := postroad.checked_secret(secret);
begin
  if (old_valid_for >= '0') is not true then
    raise exception 'old_valid_for must not be negative, got %', coalesce(old_valid_for::text, 'null')
      using errcode = 'PR001';
  end if;
  perform from postroad.webhook_endpoints as e where e.endpoint_id = rotate_webhook_secret.endpoint_id for update;
  if not found then
    raise exception 'no endpoint %', coalesce(endpoint_id::text, 'null')
      using errcode = 'PR002', hint = 'See: table postroad.outbound_stats.';
  end if;
  update postroad.webhook_secrets as s
  set valid_until = clock_timestamp() + old_valid_for
  where s.endpoint_id = rotate_webhook_secret.endpoint_id
    and s.valid_until is null;
  insert into postroad.webhook_secrets (endpoint_id, secret)
  values (endpoint_id, signing_secret);
  perform postroad.audit('rotate_webhook_secret', endpoint_id::text);
  return signing_secret;
end;
$$;

comment on function postroad.rotate_webhook_secret is
$$Gives an endpoint a new secret (made if null) and returns it. The old one signs too for old_valid_for (24 hours), so that the receiver may change over at any time.
Raises PR001 (secret, or a negative time) and PR002 (no such endpoint).$$;

revoke all on function postroad.rotate_webhook_secret from public;
grant execute on function postroad.rotate_webhook_secret to postroad_admin;

create or replace function postroad.check_endpoint(url text, event_types text[], channels text[])
returns void
language plpgsql
immutable
as $$
declare
  wrong text;
begin
  if postroad.normalize_recipient('webhook', url) is null then
    raise exception 'not a URL to post to'
      using errcode = 'PR001', hint = 'Such as https://app.example.org/hooks/postroad, without user and password, of up to 2,048 characters.';
  end if;
  select t.name into wrong
  from unnest(event_types) as t (name)
  where (t.name ~ '^system\.(\*|[a-z][a-z0-9_]*)$'
    or t.name ~ '^message\.(\*|queued|sent|deferred|delivered|opened|clicked|converted|bounced|complained|unsubscribed|failed|expired|cancelled|suppressed|unknown|received)$') is not true
  limit 1;
  if found or coalesce(cardinality(event_types), 0) = 0 then
    raise exception 'unknown event type %', coalesce(quote_literal(wrong), 'null')
      using errcode = 'PR002', hint = 'message.*, message.delivered (or another type of event), system.*, system.<kind>.';
  end if;
  select c.name into wrong
  from unnest(channels) as c (name)
  where (c.name = any ('{email,sms,push,voice,in_app,webhook}')) is not true
  limit 1;
  if found or cardinality(channels) = 0 then
    raise exception 'unknown channel %', coalesce(quote_literal(wrong), 'null')
      using errcode = 'PR002', hint = 'Channels: email, sms, push, voice, in_app, webhook; null for all.';
  end if;
end;
$$;

comment on function postroad.check_endpoint is 'Raises PR001 or PR002 when an endpoint cannot be as it is asked for.';

create or replace function postroad.checked_secret(secret text)
returns text
language plpgsql
volatile
as $$
declare
  size integer;
begin
  if secret is null then                         -- 32 bytes, of which 244 bits are random
    return 'whsec_' || encode(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()), 'base64');
  end if;
  begin
    size := length(decode(substr(secret, position('_' in secret) + 1), 'base64'));
  exception
    when others then null;                       -- its text must not be told
  end;
  if (secret ~ '^whsec_[A-Za-z0-9+/]+=*$' and size between 24 and 64 or secret ~ '^whsk_[A-Za-z0-9+/]+=*$' and size in (32, 64)) is not true then
    raise exception 'not a secret of Standard Webhooks'
      using errcode = 'PR001', hint = 'whsec_ and 24 to 64 random bytes in base64, or whsk_ and an Ed25519 key of 32 or 64 bytes; null makes one.';
  end if;
  return secret;
end;
$$;

comment on function postroad.checked_secret is 'A signing secret that is one, or a new one for null. Raises PR001 otherwise.';
