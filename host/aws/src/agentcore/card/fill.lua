-- Takes members from an index and adds others while it is built. KEYS: index. ARGV: mark of the building, how many go, these,
-- then for each that comes: score, member. Answers 1, or 0 when the index was lost since its building began: what was read then
-- may not be so any more.
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  return 0
end
local gone = tonumber(ARGV[2])
for n = 3, gone + 2 do
  redis.call('ZREM', KEYS[1], ARGV[n])
end
for n = gone + 3, #ARGV, 2 do
  redis.call('ZADD', KEYS[1], ARGV[n], ARGV[n + 1])
end
return 1
