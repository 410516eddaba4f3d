// Grids longer than 65,535 workgroups are folded into x and y: the number of a workgroup in such a grid.
fn folded(group: vec3<u32>, groups: vec3<u32>) -> u32 {
    return group.y * groups.x + group.x;
}
