// Teams of invocations that sum together: subgroups, or else kTeams of a workgroup.
#ifdef SUBGROUPS

uint teams() { return gl_NumSubgroups; }
uint team() { return gl_SubgroupID; }
uint members() { return subgroupAdd(1u); }
uint member() { return subgroupExclusiveAdd(1u); }

/// Each of x becomes its sum over the team.
void sum_of_team(inout float x[D]) {
    for (uint r = 0; r < D; ++r) x[r] = subgroupAdd(x[r]);
}

#else

const uint kMembers = W / kTeams;

shared float parts[D][W];

uint teams() { return kTeams; }
uint team() { return gl_LocalInvocationIndex / kMembers; }
uint members() { return kMembers; }
uint member() { return gl_LocalInvocationIndex % kMembers; }

void sum_of_team(inout float x[D]) {
    const uint i = gl_LocalInvocationIndex;
    barrier();  // who still reads the last result
    for (uint r = 0; r < D; ++r) parts[r][i] = x[r];
    for (uint step = kMembers / 2; step > 0; step /= 2) {
        barrier();
        if (member() < step)
            for (uint r = 0; r < D; ++r) parts[r][i] += parts[r][i + step];
    }
    barrier();
    for (uint r = 0; r < D; ++r) x[r] = parts[r][i - member()];
}

#endif
