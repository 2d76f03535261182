create or replace function postroad.set_suppression_rule(
  reason        text,
  is_on         boolean default true,
  after         integer default 1,
  within        interval default null,
  expires_after interval default null,
  every_channel boolean default false,
  every_tenant  boolean default true
)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  before jsonb;
begin
  if (after between 1 and 1000) is not true or within <= '0' or expires_after <= '0' or num_nulls(is_on, every_channel, every_tenant) > 0 then
    raise exception 'a rule needs after from 1 to 1000, and intervals above 0'
      using errcode = 'PR001', hint = 'Such as set_suppression_rule(''soft_bounce'', after => 3, within => ''30 days'', expires_after => ''30 days'').';
  end if;
  select to_jsonb(r) - 'reason' into before
  from postroad.suppression_rules as r
  where r.reason = set_suppression_rule.reason;
  update postroad.suppression_rules as r
  set is_on = set_suppression_rule.is_on, after = set_suppression_rule.after, within = set_suppression_rule.within,
    expires_after = set_suppression_rule.expires_after, every_channel = set_suppression_rule.every_channel, every_tenant = set_suppression_rule.every_tenant
  where r.reason = set_suppression_rule.reason;
  if not found then
    raise exception 'unknown reason %', coalesce(quote_literal(reason), 'null')
      using errcode = 'PR002', hint = 'Reasons: hard_bounce, soft_bounce, invalid_token, complaint, unsubscribe, stop, opted_out.';
  end if;
  perform postroad.audit('set_suppression_rule', reason, before, (
    select to_jsonb(r) - 'reason' from postroad.suppression_rules as r where r.reason = set_suppression_rule.reason
  ));
end;
$$;

comment on function postroad.set_suppression_rule is
$$Sets which events suppress a recipient: reason is hard_bounce, soft_bounce, invalid_token (push), complaint, unsubscribe, stop (SMS) or opted_out (a carrier's word).
is_on: false for not at all. after: so many messages with such an event (default 1), not older than within (default: any), none delivered since. expires_after: how long
(default: for good). every_channel: on all channels, not that of the event only. every_tenant: false for the message's tenant only. What is on the list stays as it is.
Raises PR001 (after below 1, an interval that is not above 0) and PR002 (unknown reason).$$;

revoke all on function postroad.set_suppression_rule from public;
grant execute on function postroad.set_suppression_rule to postroad_admin;
