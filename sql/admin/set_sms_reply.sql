create or replace function postroad.set_sms_reply(
  wish text,
  body text
)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  before constant text := (select r.body from postroad.sms_replies as r where r.wish = set_sms_reply.wish);
begin
  if (wish = any ('{help,start}')) is not true then
    raise exception 'unknown wish %', coalesce(quote_literal(wish), 'null')
      using errcode = 'PR002', hint = 'Wishes: help, start. STOP is confirmed by the provider: nothing goes to a suppressed number.';
  end if;
  perform postroad.audit('set_sms_reply', wish, jsonb_build_object('body', before), jsonb_build_object('body', nullif(btrim(body), '')));
  if coalesce(btrim(body), '') = '' then
    delete from postroad.sms_replies as r where r.wish = set_sms_reply.wish;
    return;
  end if;
  insert into postroad.sms_replies (wish, body)
  values (wish, body)
  on conflict on constraint sms_replies_pkey do update
  set body = excluded.body;
end;
$$;

comment on function postroad.set_sms_reply is
$$Sets what is answered by SMS to HELP (wish help) or START (wish start), at most once an hour to a number; null: nothing, which is the default, since many providers answer
themselves. Raises PR002 for another wish.$$;

revoke all on function postroad.set_sms_reply from public;
grant execute on function postroad.set_sms_reply to postroad_admin;
