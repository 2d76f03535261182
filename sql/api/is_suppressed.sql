create or replace function postroad.is_suppressed(
  channel   text,
  address   text,
  tenant_id bigint default null
)
returns boolean
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if channel <> all ('{email,sms,push,voice,in_app,webhook}') then
    raise exception 'unknown channel %', quote_literal(channel)
      using errcode = 'PR002', hint = 'Channels: email, sms, push, voice, in_app, webhook.';
  end if;
  return postroad.suppressed_by(channel, coalesce(postroad.normalize_recipient(channel, address), address), tenant_id) is not null;
end;
$$;

comment on function postroad.is_suppressed is
'Whether a message to this address over this channel (for this tenant; null: for no tenant) would be suppressed now. The address may be spelled in any way that enqueue accepts. Raises PR002 (unknown channel).';

revoke all on function postroad.is_suppressed from public;
grant execute on function postroad.is_suppressed to postroad_sender, postroad_admin, postroad_reader;
