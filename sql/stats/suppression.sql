create or replace view postroad.suppression_policy as
select r.reason, r.is_on, r.after, r.within, r.expires_after, r.every_channel, r.every_tenant
from postroad.suppression_rules as r
order by r.reason;
comment on view postroad.suppression_policy is 'Which events suppress a recipient, and for how long: change it by set_suppression_rule.';

create or replace view postroad.left_out_events as
select x.day, x.gateway, x.cause, sum(x.events)::bigint as events, max(x.last_at) as last_at, (array_agg(x.last_event order by x.last_at desc))[1] as last_event
from postroad.unplaced_events as x
group by x.day, x.gateway, x.cause
order by x.day desc, x.gateway, x.cause;
comment on view postroad.left_out_events is
$$Reported events that were not recorded, counted by day (UTC), gateway and cause: malformed (an id or a time that is none), unknown_event (a type that we do not have),
unknown_message (no message of ours: of another application on the same account, perhaps), unproven (anybody may have sent it, as a mail to the address of bounces, and it is about no message of
which it may be: forged, perhaps). last_event is the latest of them, without its recipient. Kept 90 days.$$;

grant select on postroad.suppression_policy, postroad.left_out_events to postroad_reader, postroad_admin;
