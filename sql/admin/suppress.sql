create or replace function postroad.suppress(
  channel    text,
  address    text,
  reason     text default 'manual',
  tenant_id  bigint default null,
  expires_at timestamptz default null,
  source     text default null
)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  key text;
  before jsonb;
begin
  key := postroad.suppression_address(channel, address);
  if coalesce(btrim(reason), '') = '' then
    raise exception 'a suppression needs a reason'
      using errcode = 'PR001', hint = 'Such as manual, legal, unsubscribe, complaint, hard_bounce.';
  end if;
  select jsonb_build_object('reason', s.reason, 'expires_at', s.expires_at, 'source', s.source) into before
  from postroad.suppression_list as s
  where s.address = key
    and s.channel is not distinct from suppress.channel
    and s.tenant_id is not distinct from suppress.tenant_id;
  if postroad.put_suppressions(array[key], array[channel], array[tenant_id], array[reason], array[expires_at],
      array[coalesce(source, nullif(current_setting('postroad.caller', true), ''), session_user)]) = 0 then
    return false;
  end if;
  perform postroad.audit('suppress', postroad.address_hash(key), before, jsonb_build_object(
    'channel', channel, 'tenant_id', tenant_id, 'reason', reason, 'expires_at', expires_at));
  return true;
end;
$$;

comment on function postroad.suppress is
$$Puts an address on the suppression list: for a channel (null: all), for a tenant (null: all), until expires_at (default: for good). Messages to it that wait are stopped when
they are claimed. Returns true when that changed the list; an entry that lasts as long already stays as it is, but for its reason, of which the stronger one stays (legal,
complaint, manual and your own, hard_bounce, unsubscribe, stop, soft_bounce): a START takes back a stop, not what you say here. Raises PR001 (no reason, or an address that the channel
does not know) and PR002 (unknown channel).$$;

revoke all on function postroad.suppress from public;
grant execute on function postroad.suppress to postroad_admin;

create or replace function postroad.unsuppress(
  channel   text,
  address   text,
  tenant_id bigint default null
)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  key constant text := postroad.suppression_address(channel, address);
  before jsonb;
begin
  delete from postroad.suppression_list as s
  where s.address = key
    and s.channel is not distinct from unsuppress.channel
    and s.tenant_id is not distinct from unsuppress.tenant_id
  returning jsonb_build_object('channel', s.channel, 'tenant_id', s.tenant_id, 'reason', s.reason, 'expires_at', s.expires_at, 'source', s.source)
  into before;
  if before is null then
    return false;
  end if;
  perform postroad.audit('unsuppress', postroad.address_hash(key), before);
  return true;
end;
$$;

comment on function postroad.unsuppress is
'Takes an address off the suppression list, for exactly that channel and tenant (null: the entry for all). False when it was not on it.';

revoke all on function postroad.unsuppress from public;
grant execute on function postroad.unsuppress to postroad_admin;

create or replace function postroad.suppression_address(channel text, address text)
returns text
language plpgsql
immutable
as $$
declare
  normalized text;
begin
  if channel is not null and channel <> all ('{email,sms,push,voice,in_app,webhook}') then
    raise exception 'unknown channel %', quote_literal(channel)
      using errcode = 'PR002', hint = 'Channels: email, sms, push, voice, in_app, webhook; null for all.';
  end if;
  normalized := case
    when channel is not null then postroad.normalize_recipient(channel, address)
    else coalesce(postroad.normalize_email(address), postroad.normalize_phone(address), nullif(btrim(address), ''))
  end;
  if normalized is null then
    raise exception 'not a recipient of channel %', coalesce(channel, 'any')
      using errcode = 'PR001', hint = 'An email address, a number as +14155550123, a token, or what the channel sends to.';
  end if;
  return postroad.suppression_key(case when channel is null and postroad.normalize_email(address) is not null then 'email' else channel end, normalized);
end;
$$;

comment on function postroad.suppression_address is 'An address as the suppression list keeps it. Raises PR001 when the channel does not know such addresses.';

create or replace function postroad.is_suppressible(channel text, address text)
returns boolean
language sql
immutable
as $$
  select case when channel is null then btrim(address) <> '' else postroad.normalize_recipient(channel, address) is not null end
$$;

comment on function postroad.is_suppressible is 'Whether suppression_address knows the address: it raises when it does not.';
